"""Publishing: the book's Sphinx extension, and the site with its notebooks and the library's wheel."""
