"""The web app for any WSGI server: `app:app`. `socialconsole run` starts everything instead."""

from socialconsole.start import checked_app

app = checked_app()
