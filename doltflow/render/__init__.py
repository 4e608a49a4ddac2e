"""Results as people and programs read them: text for a terminal, JSON, Mermaid and DOT. Asks nobody anything."""
