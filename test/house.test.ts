/** The rooms of lib/: imports point down the list of CONTRIBUTING.md, and go round in no circle. */
import { readFileSync, readdirSync } from 'node:fs'
import * as path from 'node:path'
import ts from 'typescript'

/** From the top down. The command line calls the public API as any program does. */
const ROOMS = [
  'cli',
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
  // What is no folder is a room of its own.
  return first.replace(/\.ts$/, '')
}

/** The files of lib/ that one of them imports, types included. */
function importsOf(file: string): string[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(path.join(lib, file), 'utf8'))
  return importedFiles
    .filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => {
      const target = path.posix.join(path.posix.dirname(file), fileName)
      const found = [`${target}.ts`, `${target}/index.ts`].find((each) => files.includes(each))
      if (found === undefined) throw new Error(`${file} imports ${fileName}, which is not there`)
      return found
    })
}

const graph = new Map(files.map((file) => [file, importsOf(file)]))

/** Each file with the files that are reached from it and from which it is reached. */
function circles(): string[][] {
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

describe('the house', () => {
  it('has the rooms that are listed, and no other', () => {
    expect([...new Set(files.map(roomOf))].toSorted()).toEqual(ROOMS.toSorted())
    const text = readFileSync(path.join(root, 'CONTRIBUTING.md'), 'utf8')
    const places = ROOMS.map((room) => text.search(new RegExp(`^  .*\\b${room}(\\.ts|/)`, 'm')))
    expect(places.every((place) => place > 0)).toBe(true)
  })

  it('has imports that point down', () => {
    const upward = [...graph].flatMap(([file, imports]) =>
      imports
        .filter((target) => ROOMS.indexOf(roomOf(target)) < ROOMS.indexOf(roomOf(file)))
        .map((target) => `${file} -> ${target}`),
    )
    expect(upward).toEqual([])
  })

  it('has no file that imports itself in the end', () => {
    expect(circles()).toEqual([])
  })
})
