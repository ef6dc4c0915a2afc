"""Pictures for print: measures drawn with matplotlib, no display needed."""
