"""The web app: a Vite project, built into the package, and the door that serves it."""
