'use strict'

/**
 * The kinds of connections of the soak, by the first byte of their requests, and how many of 1000 there
 * are of each. Each ends in another way.
 */
exports.kinds = {
  /** closeSocket() of the client. */
  deliver: 850,
  /** setCloseMode() and destroySoon() of the client. */
  policy: 100,
  /** The server's own close, under its standing mode. */
  server: 30,
  /** A RST of the client in the place of its last word. */
  reset: 8,
  /** A RST of the server in the place of its answer. */
  refused: 6,
  fin: 3,
  lingering: 3,
}

exports.names = Object.keys(exports.kinds)
