/** The completions and descriptions that an editor shows in a call. */
import { dirname, join } from 'node:path'
import * as ts from 'typescript'

const ROOT = join(__dirname, '..', '..')
const FILE = join(__dirname, 'edited.ts')
const CURSOR = '|'

/** A program of one file that imports the library, as if open in an editor. */
class Editor {
  #text = ''
  #version = 0
  readonly #service: ts.LanguageService

  constructor() {
    const config = ts.parseJsonConfigFileContent(
      ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path)).config,
      ts.sys,
      ROOT,
    )
    const options = { ...config.options, noEmit: true, rootDir: ROOT }
    this.#service = ts.createLanguageService({
      getCompilationSettings: () => options,
      getScriptFileNames: () => [FILE],
      getScriptVersion: (path) => (path === FILE ? String(this.#version) : '0'),
      getScriptSnapshot: (path) => {
        const text = path === FILE ? this.#text : ts.sys.readFile(path)
        return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text)
      },
      getCurrentDirectory: () => dirname(FILE),
      getDefaultLibFileName: (given) => ts.getDefaultLibFilePath(given),
      fileExists: (path) => path === FILE || ts.sys.fileExists(path),
      readFile: (path) => ts.sys.readFile(path),
      readDirectory: (...args) => ts.sys.readDirectory(...args),
      directoryExists: (path) => ts.sys.directoryExists(path),
    })
  }

  /** Opens a statement, and returns the position of its cursor. */
  #open(statement: string): number {
    const text = `import * as net from 'node:net'
      import { RawSocket, connect, getOption, listen, setOption, SocketTunerError, tune, tuneServer } from '../../lib'
      declare const socket: net.Socket, server: net.Server
      ${statement}`
    this.#version++
    this.#text = text.replace(CURSOR, '')
    return text.indexOf(CURSOR)
  }

  completions(statement: string): string[] {
    const found = this.#service.getCompletionsAtPosition(FILE, this.#open(statement), {})
    return found?.entries.map(({ name }) => name) ?? []
  }

  /** Returns the description of a selected completion. */
  detailOf(statement: string, name: string): string {
    const at = this.#open(statement)
    const options = {}
    const details = this.#service.getCompletionEntryDetails(
      FILE,
      at,
      name,
      options,
      undefined,
      {},
      undefined,
    )
    return ts.displayPartsToString(details?.documentation)
  }

  /** Returns the description of the name under the mouse. */
  hover(statement: string): string {
    const info = this.#service.getQuickInfoAtPosition(FILE, this.#open(statement))
    return `${ts.displayPartsToString(info?.displayParts)}\n${ts.displayPartsToString(info?.documentation)}`
  }

  errors(statement: string): string[] {
    this.#open(statement)
    return this.#service
      .getSemanticDiagnostics(FILE)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
  }
}

const editor = new Editor()
const names = ['SO_KEEPALIVE', 'TCP_NODELAY', 'IP_TOS', 'IPV6_V6ONLY', 'TCP_MD5SIG']

describe('an editor', () => {
  it.each([
    'tune(socket, { | })',
    'tune(socket, { TCP_QUICKACK: true, | })',
    'tune(socket, { TCP_QUICKACK: true, TCP_| })',
    'RawSocket.open(4, { | })',
    'RawSocket.open(4).tune({ | })',
    'tuneServer(server, { settings: { | } })',
    'connect({ port: 1, settings: { | } })',
    'void listen(server, { port: 1, settings: { | } })',
  ])('completes the names of options in %s', (statement) => {
    const found = editor.completions(statement)
    expect(found).toEqual(expect.arrayContaining(names))
    // Options that are read-only or not offered are not completed.
    expect(found).not.toContain('SO_TYPE')
    expect(found).not.toContain('TCP_INFO')
  })

  it.each([
    "setOption(socket, '|', true)",
    "getOption(socket, '|')",
    "RawSocket.open(4).setOption('|', true)",
  ])('completes the names of options in %s', (statement) => {
    expect(editor.completions(statement)).toEqual(
      expect.arrayContaining(['SO_KEEPALIVE', 'TCP_NODELAY', 'IP_TOS', 'IPV6_V6ONLY']),
    )
  })

  it('completes the fields of a value', () => {
    const found = editor.completions('tune(socket, { SO_LINGER: { | } })')
    expect(found.sort()).toEqual(['blocking', 'enabled', 'seconds'])
  })
})

describe('an editor shows the description, unit and range of an option', () => {
  it.each([
    'tune(socket, { | })',
    'RawSocket.open(4, { | })',
    'tuneServer(server, { settings: { | } })',
  ])('in the list of completions in %s', (statement) => {
    expect(editor.detailOf(statement, 'TCP_KEEPIDLE')).toMatch(
      /^Sends the first keepalive probe .*\n\nSeconds, 1 to 32767\./,
    )
  })

  it.each([
    'tune(socket, { TCP_KEEP|IDLE: 3 })',
    'RawSocket.open(4, { TCP_KEEP|IDLE: 3 })',
    'connect({ port: 1, settings: { TCP_KEEP|IDLE: 3 } })',
    'tuneServer(server, { settings: { TCP_KEEP|IDLE: 3 } })',
  ])('under the mouse in %s', (statement) => {
    expect(editor.hover(statement)).toMatch(/Sends the first keepalive probe .*\n\nSeconds, 1 to/)
  })
})

describe('the code of an error', () => {
  const compare = 'declare const error: SocketTunerError; if (error.code === '

  it('is completed by an editor', () => {
    expect(editor.completions(`${compare}'|') socket.end()`)).toEqual(
      expect.arrayContaining(['ERR_SOCKET_TUNER_UNSUPPORTED', 'EPERM', 'EADDRNOTAVAIL']),
    )
  })

  it('is marked by an editor if it does not exist', () => {
    expect(editor.errors(`${compare}'EPERM') socket.end()`)).toEqual([])
    expect(editor.errors(`${compare}'ERR_SOCKET_TUNER_UNKNOWN') socket.end()`)).toEqual([
      expect.stringContaining('no overlap'),
    ])
  })
})

describe('an editor shows the options of a function', () => {
  it.each([
    [
      "connect({ port: 1, close: { mode: 'deliver', | } })",
      'deadlineMs',
      /^The deadline of a lingering close/,
    ],
    ['void listen(server, { | })', 'backlog', /^The most connections that may wait/],
    ['tuneServer(server, { | })', 'close', /^The standing close mode of the accepted sockets/],
  ])('by name, with their comments from the table: %s', (statement, name, comment) => {
    expect(editor.completions(statement)).toContain(name)
    expect(editor.detailOf(statement, name)).toMatch(comment)
  })
})
