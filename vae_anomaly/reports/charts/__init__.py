"""Charts as inline SVG: drawn from aggregates, coloured by the style sheet, readable in grey."""
