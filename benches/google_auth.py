"""What google-auth does with an identity token: one process, one exchange (external_account, RFC 8693)."""

import json
import sys

from google.auth import identity_pool
from google.auth.transport.requests import Request

credentials = identity_pool.Credentials.from_info(json.loads(sys.argv[1]))
credentials.refresh(Request())
sys.stdout.write(credentials.token)
