'use strict'

/** All states by name, each with its kind, which determines its calls, and with the expected outcome. */
const http2 = require('./http2')
const refusals = require('./refusals')

const tables = {
  socket: [require('./plain'), require('./tls'), http2.sockets],
  server: [require('./servers')],
  session: [http2.sessions],
  other: [require('./others')],
  exchange: [require('./exchanges')],
}
/** Node 20 takes the socket away from a session at once, later releases when the session is closed. */
const varying = ['socket of an HTTP/2 client session that was destroyed']

const gives = Object.fromEntries(
  Object.entries(refusals).flatMap(([code, names]) => names.map((name) => [name, code])),
)
for (const name of varying) gives[name] = undefined

const states = {}
for (const [kind, all] of Object.entries(tables))
  for (const [name, state] of all.flatMap(Object.entries))
    states[name] = {
      gives: name in gives || kind === 'exchange' ? gives[name] : 'value',
      kind,
      ...(typeof state === 'function' ? { make: state } : state),
    }

module.exports = { states }
