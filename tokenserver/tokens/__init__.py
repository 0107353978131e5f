"""From granted access to a signed token: claims, header, signature, verification, reuse."""
