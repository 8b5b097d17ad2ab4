"""Pages that open from disk: templates, styles and scripts, each page one self-contained file."""
