'use strict'

/**
 * Generates docs/arguments.md: the options of each function. Names and values come from the tables, descriptions from
 * the comments in them.
 */
const { join } = require('node:path')
const ts = require('typescript')

const lib = join(__dirname, '..', 'lib')

/**
 * The tables: [heading, file, name of the table, introduction, heading of another table]. Options that a table shares
 * with the other one are listed there only.
 */
const bags = [
  [
    'A close',
    'close/close-options',
    'closeOptions',
    'The value of `close` in every function: the name of a mode, or an object with these options.',
  ],
  ['closeSocket(socket, close, options): the options', 'close/close-socket', 'closeSocketOptions'],
  [
    'connect(options)',
    'connect/connect',
    'connectOptions',
    'In addition to the options of net.connect().',
  ],
  [
    'prepareSocket(options)',
    'connect/prepare-socket',
    'prepareSocketOptions',
    'In addition to the options of new net.Socket().',
    'connect(options)',
  ],
  ['new Connector(options)', 'connect/tuning', 'tuningOptions', undefined, 'connect(options)'],
  ['RawSocket.open(family, settings, options)', 'connect/raw-socket-options', 'rawSocketOptions'],
  ['rawSocket.bind(options)', 'connect/raw-socket-options', 'bindOptions'],
  ['rawSocket.listenOn(server, options)', 'connect/raw-socket-options', 'listenOnOptions'],
  ['listen(server, options)', 'server/listen', 'listenOptions'],
  [
    'tuneServer(server, options)',
    'server/tune-server',
    'tuneServerOptions',
    undefined,
    'listen(server, options)',
  ],
  ['tuning.shutdown(options)', 'server/shutdown', 'shutdownOptions'],
  ['answerEarly(request, response, answer)', 'server/answer-early', 'earlyAnswer'],
  [
    'prefork(options)',
    'prefork/prefork-options',
    'preforkOptions',
    undefined,
    'listen(server, options)',
  ],
  ['explainConnection(target, options)', 'observe/explain-connection', 'explainOptions'],
  ['countSockets(options)', 'ports/count-sockets', 'countSocketsOptions'],
  ['destroyTimeWait(filter, accepted): the filter', 'ports/filter', 'socketFilter'],
  [
    'destroyTimeWait(filter, accepted): the accepted risks',
    'ports/destroy-time-wait',
    'delayedSegmentsAccepted',
  ],
  [
    'portBudget(destination)',
    'ports/place',
    'destinationOptions',
    'Also each of the `destinations` of watchPorts().',
  ],
  ['watchPorts(options)', 'ports/watch-options', 'watchPortsOptions'],
  ['watchPorts({ warnAt })', 'ports/watch-options', 'portAlarm'],
  [
    'watchConnections(options)',
    'ports/connection-watch-options',
    'watchConnectionsOptions',
    'The options of `filter` are those of [destroyTimeWait()](#destroytimewaitfilter-accepted-the-filter).',
  ],
  ['diagnose(options)', 'doctor/diagnose', 'diagnoseOptions'],
  ['diagnose({ target })', 'doctor/diagnosis-target', 'diagnosisTarget'],
  ['configure(options)', 'warnings', 'configurable'],
  [
    'new TunedAgent(options), new TunedHttpsAgent(options)',
    'clients/http/agent-options',
    'agentOptions',
    "In addition to the options of Node's own agents.",
    'connect(options)',
  ],
  [
    'tunedConnector(options)',
    'clients/undici/connector-options',
    'connectorOptions',
    'In addition to the options of net.connect() and tls.connect(). Null means the default.',
    'connect(options)',
  ],
  [
    'tunedAutocannon(options, tuning): the tuning',
    'clients/autocannon/setup',
    'autocannonTuning',
    undefined,
    'connect(options)',
  ],
  [
    'The plugin for Artillery: `config.plugins.socket-tuner`',
    'clients/artillery/plugin-options',
    'pluginOptions',
    undefined,
    'connect(options)',
  ],
  ['registerMetrics(client, options)', 'metrics/metrics-options', 'metricsOptions'],
  ['stress(options)', 'stress/options', 'stressOptions', undefined, 'connect(options)'],
  [
    'compare(options)',
    'stress/compare',
    'compareOptions',
    '`close` and `amount` are refused.',
    'stress(options)',
  ],
  [
    'findRate(options, condition): the options',
    'stress/find-rate',
    'findRateOptions',
    '`amount` is refused.',
    'stress(options)',
  ],
  [
    'socket-tuner/register: `clients`',
    'register/config',
    'clientsSection',
    undefined,
    'connect(options)',
  ],
  [
    'socket-tuner/register: `servers`',
    'register/config',
    'serversSection',
    undefined,
    'listen(server, options)',
  ],
]

function tableOf(file, name) {
  return require(join(__dirname, '..', 'dist', file))[name]
}

/** Returns the options of a table by name, each with the values that it accepts and its comment. */
function optionsIn(program, file, name) {
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(join(lib, `${file}.ts`))
  const table = checker
    .getExportsOfModule(checker.getSymbolAtLocation(source))
    .find((symbol) => symbol.name === name)
  const fields = checker.getTypeOfSymbol(table).getProperty('fields')
  const rows = checker.getTypeOfSymbol(fields).getProperties()
  const comments = new Map(rows.map((row) => [row.name, commentOn(row, checker)]))
  return new Map(
    Object.entries(tableOf(file, name).fields).map(([option, { takes, isNeeded }]) => [
      option,
      { takes, isNeeded, comment: comments.get(option) },
    ]),
  )
}

/** Returns a comment without its links, which readers of the page cannot follow. */
function commentOn(symbol, checker) {
  return ts
    .displayPartsToString(symbol.getDocumentationComment(checker))
    .replaceAll(/\{@link (\w+)\}/g, '`$1`')
    .replaceAll(/\s+/g, ' ')
}

function bagsPage(note) {
  const options = { ...compilerOptions(), noEmit: true }
  const files = [...new Set(bags.map(([, file]) => join(lib, `${file}.ts`)))]
  const program = ts.createProgram(files, options)
  const tables = new Map(
    bags.map(([heading, file, name]) => [heading, optionsIn(program, file, name)]),
  )
  const lines = [
    '# Options of each function',
    '',
    note,
    '',
    'Each option is listed with the values that it accepts. An unknown name is refused with',
    '`ERR_SOCKET_TUNER_UNKNOWN_OPTION` and the nearest known name, before anything is changed. If the same object also',
    'has options of Node or another package, only names that are close to one listed here are refused; all others are',
    'passed on.',
    '',
  ]
  for (const [heading, , , intro, base] of bags) {
    lines.push(`## ${heading}`, '')
    if (intro !== undefined) lines.push(intro, '')
    const shared = []
    for (const [option, row] of tables.get(heading)) {
      if (isSame(row, tables.get(base)?.get(option))) shared.push(`\`${option}\``)
      else lines.push(lineOf(option, row))
    }
    if (shared.length > 0) lines.push(`- ${shared.join(', ')}: as in [${base}](#${anchorOf(base)})`)
    lines.push('')
  }
  return lines.join('\n')
}

function lineOf(option, { takes, isNeeded, comment }) {
  if (!comment) throw new Error(`The option ${option} has no comment`)
  return `- **\`${option}\`** (${takes}${isNeeded ? ', required' : ''}): ${comment}`
}

/** An option without a comment is described in the other table. Its values must be the same there. */
function isSame(row, other) {
  return other?.takes === row.takes && (!row.comment || other.comment === row.comment)
}

/** Returns GitHub's anchor of a heading. */
function anchorOf(heading) {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .replaceAll(/\s/g, '-')
}

function compilerOptions() {
  const path = join(__dirname, '..', 'tsconfig.json')
  const { config } = ts.readConfigFile(path, ts.sys.readFile)
  return ts.parseJsonConfigFileContent(config, ts.sys, join(__dirname, '..')).options
}

module.exports = { bags, bagsPage, compilerOptions, tableOf }
