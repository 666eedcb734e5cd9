"""The commands, one module for each, named as it is typed, so that the file list is the list of commands."""
