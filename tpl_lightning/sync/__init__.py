"""Videos in step: phases of a prototype, frames of files on a common clock, and what is drawn of them."""
