/** The rooms of lib/: imports point down the list of CONTRIBUTING.md and form no cycle. */
import { readFileSync, readdirSync } from 'node:fs'
import * as path from 'node:path'
import ts from 'typescript'

/** The rooms from top to bottom. */
const ROOMS = [
  'cli',
  'stress',
  'demo',
  'index',
  'register',
  'metrics',
  'clients',
  'doctor',
  'ports',
  'prefork',
  'server',
  'connect',
  'close',
  'observe',
  'options',
  'target',
  'node',
  'kernel',
  'warnings',
  'spec',
  'errors',
]

const root = path.join(__dirname, '..')
const lib = path.join(root, 'lib')
const files = readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.split(path.sep).join('/'))

function roomOf(file: string): string {
  const [first = ''] = file.split('/')
  // A file outside of the folders is its own room.
  return first.replace(/\.ts$/, '')
}

/** Returns the files of lib/ that a file imports, including types. */
function importsOf(file: string): string[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(path.join(lib, file), 'utf8'))
  return importedFiles
    .filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => {
      const target = path.posix.join(path.posix.dirname(file), fileName)
      const found = [`${target}.ts`, `${target}/index.ts`].find((each) => files.includes(each))
      if (found === undefined) throw new Error(`${file} imports ${fileName}, which does not exist`)
      return found
    })
}

const graph = new Map(files.map((file) => [file, importsOf(file)]))

/** Returns the import cycles. */
function cycles(): string[][] {
  const found: string[][] = []
  const done = new Set<string>()
  const visit = (file: string, trail: readonly string[]): void => {
    const at = trail.indexOf(file)
    if (at >= 0) found.push([...trail.slice(at), file])
    if (at >= 0 || done.has(file)) return
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  return found
}

describe('lib/', () => {
  it('has exactly the rooms that this test and CONTRIBUTING.md list, in one order', () => {
    expect([...new Set(files.map(roomOf))].toSorted()).toEqual(ROOMS.toSorted())
    const text = readFileSync(path.join(root, 'CONTRIBUTING.md'), 'utf8')
    const list = text.slice(text.search(/^  cli\//m))
    const places = ROOMS.map((room) =>
      list.search(new RegExp(`^  (\\w+\\.ts  )*${room}(\\.ts|/)`, 'm')),
    )
    expect(places).not.toContain(-1)
    expect(places).toEqual(places.toSorted((one, other) => one - other))
  })

  it('has no import that points up', () => {
    const upward = [...graph].flatMap(([file, imports]) =>
      imports
        .filter((target) => ROOMS.indexOf(roomOf(target)) < ROOMS.indexOf(roomOf(file)))
        .map((target) => `${file} -> ${target}`),
    )
    expect(upward).toEqual([])
  })

  it('has no import cycle', () => {
    expect(cycles()).toEqual([])
  })

  it('has a demo that uses the public entries only', () => {
    const entries = ['index.ts', 'ports/index.ts']
    const others = [...graph]
      .filter(([file]) => roomOf(file) === 'demo')
      .flatMap(([, imports]) => imports)
      .filter((target) => roomOf(target) !== 'demo' && !entries.includes(target))
    expect(others).toEqual([])
  })
})
