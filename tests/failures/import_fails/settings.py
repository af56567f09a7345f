LIMIT = int("twenty")
