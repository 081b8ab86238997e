"""`cp` and its like: what copies mean by docker's rules, and how files and archives are read and written."""
