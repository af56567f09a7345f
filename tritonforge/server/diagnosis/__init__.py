"""Why a server or a model failed: its log, its words, and the user's own files and lines."""
