"""Folders to decoded images: names, decoding, resizing, bit depth."""
