"""An SMTP server for the e-mail tests, on aiosmtpd and a free port of 127.0.0.1.

Prints "ready PORT", then each mail it takes as one line of JSON. Ends when its standard input does.
"""

import argparse
import asyncio
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

arguments = argparse.ArgumentParser()
arguments.add_argument("--refuse", help="answer to DATA, instead of taking the mail")
arguments.add_argument("--times", type=int, default=10**9, help="how often to refuse before mails are taken")
arguments.add_argument("--login", help="user:password that is let in; nobody else is")
arguments.add_argument("--security", choices=["none", "starttls", "tls"], default="none")
arguments.add_argument("--cert")
arguments.add_argument("--key")
options = arguments.parse_args()
logging.getLogger("mail.log").setLevel(logging.ERROR)


class Handler:
    left = options.times

    async def handle_DATA(self, server, session, envelope):
        if options.refuse and self.left > 0:
            self.left -= 1
            return options.refuse
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "data": envelope.content.decode("utf-8"),
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data,
        }
        print(json.dumps(mail), flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    given = f"{data.login.decode()}:{data.password.decode()}"
    if given == options.login:
        return AuthResult(success=True, auth_data=data.login.decode())
    # A rude server: it repeats what it was given.
    return AuthResult(success=False, handled=False, message=f"535 5.7.8 no such login: {data.password.decode()}")


async def main():
    context = None
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)

    def session():
        return SMTP(
            handler,
            hostname="mail.test",
            tls_context=context if options.security == "starttls" else None,
            require_starttls=options.security == "starttls",
            authenticator=authenticate if options.login else None,
            auth_exclude_mechanism=[] if options.login else ["LOGIN", "PLAIN"],
            auth_required=bool(options.login),
            auth_require_tls=False,
        )

    handler = Handler()
    wrapped = context if options.security == "tls" else None
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=wrapped)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


asyncio.run(main())
