"""A registry that checks a users file itself (`auth: htpasswd`): its users and what they may do, as a site."""
