"""The file format: its layout, the writer, and the reader of one file or of several that are read as one."""
