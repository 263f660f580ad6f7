"""Where results are kept outside the table: stores, and how a result becomes the content of a file."""
