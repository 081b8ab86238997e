"""The API told to programs: an OpenAPI 3.1 document, made from the endpoints, their parameters and body types.

`operation.py` has the words, `containers.py`, `images.py` and `others.py` what each handler takes and gives,
`document.py` makes the document of them. `tests/test_description.py` holds all of it against the routes.
"""
