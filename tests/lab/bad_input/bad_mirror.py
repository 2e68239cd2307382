# Copyright (c) hardway.kubernetes contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server that breaks off: it shows /srv/mirror to its own host alone, and stops in the middle of one file.

usage: bad_mirror.py PORT short|gone NAME

short: of the file with this name it sends half, and closes the connection in good order
gone:  of the file with this name it sends half, resets the connection, and is gone
"""

import http.server
import os
import shutil
import socket
import struct
import sys


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files below /srv/mirror."""

    def __init__(self, *arguments):
        super().__init__(*arguments, directory="/srv/mirror")

    def copyfile(self, source, outputfile):
        """Send a file: the whole of it, or not."""
        if os.path.basename(self.path) != sys.argv[3]:
            shutil.copyfileobj(source, outputfile)
            return
        outputfile.write(source.read(os.fstat(source.fileno()).st_size // 2))
        if sys.argv[2] == "gone":
            # Closing it without lingering is a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            os._exit(0)


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
