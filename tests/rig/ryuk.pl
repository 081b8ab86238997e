#!/usr/bin/perl
# Stands in for the image testcontainers/ryuk: told labels over TCP, it removes what has them when its clients are gone.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

$| = 1;
my ($patience) = ($ENV{RYUK_RECONNECTION_TIMEOUT} // '10s') =~ /^(\d+)/;
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 10, ReuseAddr => 1) or die "listen: $!";
print "ryuk: Started!\n";
my $select = IO::Select->new($server);
my (%filters, %rest);
my $alone = time + 60;    # seconds for the first client to come
while ($select->count > 1 || time < $alone) {
    for my $ready ($select->can_read(0.2)) {
        if ($ready == $server) {
            $select->add(scalar $server->accept);
            next;
        }
        if (!sysread $ready, my $data, 4096) {
            $select->remove($ready);
            close $ready;
            $alone = time + $patience;
        } else {
            $rest{$ready} .= $data;
            while ($rest{$ready} =~ s/^(.*?)\r?\n//) {
                $filters{$1} = 1;
                syswrite $ready, "ACK\n";
            }
        }
    }
}

sub ask {
    my ($method, $path) = @_;
    my $docker = IO::Socket::UNIX->new(Peer => '/var/run/docker.sock') or die "docker: $!";
    print $docker "$method $path HTTP/1.0\r\nHost: docker\r\n\r\n";
    local $/;
    my $answer = <$docker>;
    print "ryuk: $method $path: ", $answer =~ /^(HTTP.*?)\r/, "\n" if $method eq 'DELETE';
    return $answer;
}

sub labelled {
    my @labels = map { s/^label=//r } split /&/, shift;
    s/%([0-9A-Fa-f]{2})/chr hex $1/ge for @labels;
    my $json = '{"label":[' . join(',', map { "\"$_\"" } @labels) . ']}';
    return $json =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ger;
}

for my $filter (keys %filters) {
    my $wanted = 'filters=' . labelled($filter);
    ask('DELETE', "/containers/$_?force=1&v=1") for ask('GET', "/containers/json?all=1&$wanted") =~ /"Id":"([0-9a-f]{64})"/g;
    ask('DELETE', "/networks/$_") for ask('GET', "/networks?$wanted") =~ /"Id":"([0-9a-f]{64})"/g;
    ask('DELETE', "/volumes/$_") for ask('GET', "/volumes?$wanted") =~ /"Name":"([^"]+)"/g;
    ask('DELETE', "/images/$_?force=1") for ask('GET', "/images/json?$wanted") =~ /"Id":"(sha256:[0-9a-f]{64})"/g;
}
