'use strict'

/** Bytes of a request, of its answer, and of what the client sends right before it closes. */
exports.REQUEST = 64
exports.ANSWER = 1000
exports.PARTING = 256
