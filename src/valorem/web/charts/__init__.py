"""Charts: each a Vega-Lite specification with a sentence and a table, drawn the same for a page and for paper."""
