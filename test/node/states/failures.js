'use strict'

/** Tells documented errors from others. */
const { constants } = require('node:os')
const { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } = require('../../../dist')
const { SocketTunerError } = require('../../../dist')
const { errorCodes } = require('../../../dist/errors')

const codes = new Set([
  ...Object.keys(errorCodes),
  ...Object.keys(constants.errno),
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_OUT_OF_RANGE',
  'ERR_SERVER_ALREADY_LISTEN',
  'ERR_HTTP_HEADERS_SENT',
])
const classes = [ArgumentRangeError, ArgumentTypeError, ArgumentValueError, SocketTunerError]

/** Returns the code of a documented error, or a text that describes any other. */
function failureOf(error) {
  const isKnown = classes.some((known) => error instanceof known)
  return isKnown && codes.has(error.code) ? error.code : `undocumented: ${error?.stack ?? error}`
}

module.exports = { failureOf }
