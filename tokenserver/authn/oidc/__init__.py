"""People who log in at an OpenID provider: its document, the redirects, the ID token, and who the person is here.

The provider only says who somebody is; policies say what they may do. The HTML pages are those of `web/pages`.
"""
