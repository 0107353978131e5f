"""From templates to pages in the reader's language, with the style sheet and the icon that they refer to."""
