'use strict'

/**
 * The kinds of connections in the soak test, by the first byte of their requests, with their shares of 1000. Each kind
 * ends in a different way.
 */
exports.kinds = {
  /** closeSocket() of the client. */
  deliver: 850,
  /** setCloseMode() and destroySoon() of the client. */
  policy: 50,
  /** setCloseMode() with `onEnd: 'close'` and end() of the client. */
  ended: 50,
  /** The server's own close, under its standing mode. */
  server: 30,
  /** A RST of the client instead of its last message. */
  reset: 8,
  /** A RST of the server instead of its answer. */
  refused: 6,
  fin: 3,
  lingering: 3,
}

exports.names = Object.keys(exports.kinds)
