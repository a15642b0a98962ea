"""Documents: an issued invoice as a PDF that people read and an XML that programs read, both from the same value."""
