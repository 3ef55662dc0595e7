"""The stores of one machine: a SQLite file that several processes may share; `database` keeps it, the others speak SQL."""
