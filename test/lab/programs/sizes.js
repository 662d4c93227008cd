'use strict'

/** The sizes of a request, its answer, and the client's last message before the close, bytes. */
exports.REQUEST = 64
exports.ANSWER = 1000
exports.PARTING = 256
