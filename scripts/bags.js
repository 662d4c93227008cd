'use strict'

/**
 * The text of docs/arguments.md: what each function takes as options. The tables give names, values and
 * defaults, the comments in them the rest.
 */
const { join } = require('node:path')
const ts = require('typescript')

const lib = join(__dirname, '..', 'lib')

/** Each table, under the heading of what takes it: [heading, file, name, what stands below the heading]. */
const bags = [
  [
    'A close',
    'close/options',
    'closeOptions',
    'What `close` takes everywhere: the name of a mode, or an object with these.',
  ],
  ['closeSocket(socket, close, options): the options', 'close/close-socket', 'closeSocketOptions'],
  ['connect(options)', 'connect/connect', 'connectOptions', 'Beside all that net.connect() takes.'],
  ['new Connector(options)', 'connect/tuning', 'tuningOptions'],
  ['RawSocket.open(family, settings, options)', 'connect/raw-socket', 'rawSocketOptions'],
  ['rawSocket.bind(options)', 'connect/raw-socket', 'bindOptions'],
  ['rawSocket.listenOn(server, options)', 'connect/raw-socket', 'listenOnOptions'],
  ['listen(server, options)', 'server/listen', 'listenOptions'],
  ['tuneServer(server, options)', 'server/tune-server', 'tuneServerOptions'],
  ['answerEarly(request, response, answer)', 'server/answer-early', 'earlyAnswer'],
  ['prefork(options)', 'prefork/options', 'preforkOptions'],
  ['countSockets(options)', 'ports/count-sockets', 'countSocketsOptions'],
  ['destroyTimeWait(filter, accepted): the filter', 'ports/filter', 'socketFilter'],
  [
    'destroyTimeWait(filter, accepted): what is accepted',
    'ports/destroy-time-wait',
    'delayedSegmentsAccepted',
  ],
  [
    'portBudget(destination)',
    'ports/place',
    'destinationOptions',
    'And each of the `destinations` of watchPorts().',
  ],
  ['watchPorts(options)', 'ports/watch-options', 'watchPortsOptions'],
  ['watchPorts({ warnAt })', 'ports/watch-options', 'portAlarm'],
  ['diagnose(options)', 'doctor/diagnose', 'diagnoseOptions'],
  ['diagnose({ target })', 'doctor/target', 'diagnosisTarget'],
  ['configure(options)', 'warnings', 'configurable'],
  [
    'new TunedAgent(options), new TunedHttpsAgent(options)',
    'clients/http/options',
    'agentOptions',
    "Beside all that Node's own agents take.",
  ],
  [
    'tunedConnector(options)',
    'clients/undici/options',
    'connectorOptions',
    'Beside what net.connect() and tls.connect() take. Null stands for the default.',
  ],
  ['tunedAutocannon(options, tuning): the tuning', 'clients/autocannon/setup', 'autocannonTuning'],
  [
    'The plugin for Artillery: `config.plugins.socket-tuner`',
    'clients/artillery/config',
    'pluginOptions',
  ],
  ['registerMetrics(client, options)', 'metrics/options', 'metricsOptions'],
  ['socket-tuner/register: `clients`', 'register/config', 'clientsSection'],
  ['socket-tuner/register: `servers`', 'register/config', 'serversSection'],
]

function tableOf(file, name) {
  return require(join(__dirname, '..', 'dist', file))[name]
}

/** The comments of the rows, by the names of the options. */
function commentsIn(program, file, name) {
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(join(lib, `${file}.ts`))
  const table = checker
    .getExportsOfModule(checker.getSymbolAtLocation(source))
    .find((symbol) => symbol.name === name)
  const fields = checker.getTypeOfSymbol(table).getProperty('fields')
  const rows = checker.getTypeOfSymbol(fields).getProperties()
  return new Map(
    rows.map((row) => [
      row.name,
      ts.displayPartsToString(row.getDocumentationComment(checker)).replaceAll(/\s+/g, ' '),
    ]),
  )
}

function bagsPage(note) {
  const options = { ...configOf(), noEmit: true }
  const files = [...new Set(bags.map(([, file]) => join(lib, `${file}.ts`)))]
  const program = ts.createProgram(files, options)
  const lines = [
    '# What each function takes',
    '',
    note,
    '',
    'Every option by name, with what it takes. A name that is none of these is refused with',
    '`ERR_SOCKET_TUNER_UNKNOWN_OPTION` and the nearest right one, before anything is changed. Where the',
    'same object has options of Node or of another package, only what is nearly one of these names is',
    'refused: the rest is handed on.',
    '',
  ]
  for (const [heading, file, name, intro] of bags) {
    const comments = commentsIn(program, file, name)
    lines.push(`## ${heading}`, '')
    if (intro !== undefined) lines.push(intro, '')
    for (const [option, { takes, isNeeded }] of Object.entries(tableOf(file, name).fields)) {
      const comment = comments.get(option)
      const need = isNeeded ? ', required' : ''
      lines.push(`- **\`${option}\`** (${takes}${need})${comment ? `: ${comment}` : ''}`)
    }
    lines.push('')
  }
  return lines.join('\n')
}

function configOf() {
  const path = join(__dirname, '..', 'tsconfig.json')
  const { config } = ts.readConfigFile(path, ts.sys.readFile)
  return ts.parseJsonConfigFileContent(config, ts.sys, join(__dirname, '..')).options
}

module.exports = { bags, bagsPage, tableOf }
