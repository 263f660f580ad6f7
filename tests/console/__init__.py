"""The console in a real browser: Chromium, driven by Playwright, on a whole installation of the service."""
