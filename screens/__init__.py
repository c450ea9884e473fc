"""What all pages share: language, palette, base page, security headers."""
