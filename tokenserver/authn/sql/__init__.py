"""People in the tables of an SQL database: the query for them, what a row means, and connections that only read.

`backend` is the user source and knows no SQLAlchemy; only `statements`, `database` and the engines do.
"""
