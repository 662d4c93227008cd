'use strict'

/**
 * Every public function that takes a target, or a request with its response, and every way to end a target under each
 * standing close mode.
 */
const { Socket } = require('node:net')
const library = require('../../../dist')

const {
  RawSocket,
  answerEarly,
  closeSocket,
  configure,
  explainConnection,
  getCloseMode,
  getOption,
  listen,
  queueSizes,
} = library
const { setCloseMode, setOption, tcpInfo, tune, tuneServer } = library

const modes = ['fin', 'deliver', 'lingering', 'reset']
/** Short, because most peers do not answer. */
const limits = { deadlineMs: 60, idleMs: 20 }

/** Calls that do not change the state of a target. */
const reading = {
  'getOption(SO_KEEPALIVE)': (target) => getOption(target, 'SO_KEEPALIVE'),
  'getOption(SO_LINGER)': (target) => getOption(target, 'SO_LINGER'),
  'setOption(SO_KEEPALIVE)': (target) => setOption(target, 'SO_KEEPALIVE', true),
  'setOption(SO_RCVBUF)': (target) => setOption(target, 'SO_RCVBUF', 100_000),
  'setOption(TCP_KEEPINTVL)': (target) => setOption(target, 'TCP_KEEPINTVL', 33),
  'tune()': (target) => tune(target, { SO_KEEPALIVE: true, TCP_KEEPIDLE: 33, TCP_NODELAY: true }),
  'tune() without settings': (target) => tune(target, {}),
  'tcpInfo()': (target) => tcpInfo(target),
  'explainConnection()': (target) => explainConnection(target),
  'explainConnection({ since })': (target) =>
    explainConnection(target, { since: explainConnection(target) }),
  'queueSizes()': (target) => queueSizes(target),
  'setCloseMode(null)': (target) => setCloseMode(target, null),
  'getCloseMode()': (target) => getCloseMode(target),
}

const closing = {
  ...Object.fromEntries(
    modes.map((mode) => [
      `closeSocket(${mode})`,
      (target) => closeSocket(target, { mode, ...limits }),
    ]),
  ),
  'closeSocket() twice, and a reset': (target) =>
    Promise.all([
      closeSocket(target, { mode: 'fin', ...limits }),
      closeSocket(target, { mode: 'fin', ...limits }),
      closeSocket(target, { mode: 'reset', ...limits }),
    ]),
  'closeSocket(), aborted': (target) => {
    const abort = new AbortController()
    const closed = closeSocket(target, { mode: 'deliver' }, { signal: abort.signal })
    setImmediate(() => abort.abort())
    return closed
  },
  'closeSocket(reset) with hazards thrown': (target) => {
    configure({ hazards: 'throw' })
    try {
      return closeSocket(target, { mode: 'reset', ...limits })
    } finally {
      configure({ hazards: 'warn' })
    }
  },
}

const serving = {
  'tuneServer()': (target) => {
    tuneServer(target, { settings: { SO_KEEPALIVE: true }, close: { mode: 'deliver', ...limits } })
  },
  'tuneServer().applied': (target) => {
    const tuning = tuneServer(target, { settings: { SO_KEEPALIVE: true } })
    setImmediate(() => tuning.stop())
    return tuning.applied
  },
  'listen()': (target) => listen(target, { port: 0, host: '127.0.0.1' }),
  'RawSocket.listenOn()': async (target) => {
    const raw = RawSocket.open(4).bind({ address: '127.0.0.1' })
    try {
      return await raw.listenOn(target)
    } finally {
      raw.close()
    }
  },
}

const early = { status: 413, body: 'too large', ...limits }

/** Calls whose target is a request with its response. */
const answering = {
  'answerEarly()': async ({ request, response }) =>
    (await answerEarly(request, response, early)).end,
  'answerEarly() twice': ({ request, response }) => {
    const answers = [answerEarly(request, response, early)]
    try {
      answers.push(answerEarly(request, response, early))
    } catch (error) {
      if (error.code !== 'ERR_HTTP_HEADERS_SENT') throw error
    }
    return Promise.all(answers)
  },
  'answerEarly() and destroy()': ({ request, response }) => {
    const answered = answerEarly(request, response, early)
    response.destroy()
    return answered
  },
  'answerEarly() under a close mode': ({ request, response }) => {
    if (request.socket instanceof Socket) setCloseMode(request.socket, 'deliver')
    return answerEarly(request, response, early)
  },
}

/** The ways to end a target of each kind, and the standing close modes that apply to it. */
const ends = {
  socket: {
    destroy: modes,
    destroySoon: ['deliver'],
    end: ['deliver'],
    resetAndDestroy: ['deliver'],
  },
  server: { close: ['deliver'] },
  session: { close: ['deliver'], destroy: modes },
  other: { close: ['deliver', 'lingering'] },
}

/** Codes with which Node itself refuses these targets. */
const refusedByNode = ['ERR_INVALID_HANDLE_TYPE', 'ERR_HTTP2_NO_SOCKET_MANIPULATION']

function standing(kind) {
  const calls = {
    'setCloseMode() and closeSocket()': (target) => {
      setCloseMode(target, { mode: 'deliver', ...limits })
      return closeSocket(target)
    },
  }
  for (const [end, those] of Object.entries(ends[kind]))
    for (const mode of those)
      calls[`setCloseMode(${mode}) and ${end}()`] = (target) => {
        setCloseMode(target, { mode, ...limits })
        endBy(end, target)
      }
  return calls
}

function endBy(end, target) {
  try {
    target[end]()
  } catch (error) {
    if (!refusedByNode.includes(error.code)) throw error
  }
}

/**
 * The calls for a kind of target. Those of one group are made on the same target, one after another. Each
 * group has its own target.
 */
function groupsOf(kind) {
  const alone = (calls) => Object.entries(calls).map(([name, call]) => ({ [name]: call }))
  if (kind === 'exchange') return alone(answering)
  if (kind === 'socket')
    return [{ ...reading, ...serving }, ...alone({ ...closing, ...standing(kind) })]
  if (kind === 'server')
    return [{ ...reading, ...closing }, ...alone({ ...serving, ...standing(kind) })]
  return [{ ...reading, ...serving, ...closing }, ...alone(standing(kind))]
}

const used = [
  'RawSocket',
  'answerEarly',
  'closeSocket',
  'explainConnection',
  'getCloseMode',
  'getOption',
  'listen',
  'queueSizes',
  'setCloseMode',
  'setOption',
  'tcpInfo',
  'tune',
  'tuneServer',
]

/** Functions of the root entry that take no target. */
const without = [
  'closeTotals',
  'configure',
  'connect',
  'deadPeerDetection',
  'describeCloseMode',
  'describeOption',
  'prepareSocket',
]

module.exports = { groupsOf, used, without }
