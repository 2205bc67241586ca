"""Who may use the JupyterLab that ``make lab`` starts: only who knows its token or its password."""

import secrets

from jupyter_server.auth.identity import PasswordIdentityProvider

# As many as Jupyter's own token has.
TOKEN_BYTES = 24


class TokenIdentityProvider(PasswordIdentityProvider):
    """Asks for a token also where somebody's settings say that none is needed.

    Without one, anybody on the same computer could run code as whoever started JupyterLab.
    """

    def __init__(self, **settings):
        super().__init__(**settings)
        if not self.auth_enabled:
            self.token = secrets.token_hex(TOKEN_BYTES)
            # So the address that is printed has it.
            self.token_generated = True
            self.log.warning("your Jupyter settings ask for no token; make lab asks for one")
