/** C programs of the lab, compiled for each suite into a temporary directory. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'

const PROGRAMS = path.join(__dirname, '..', 'lab', 'programs')

/** The temporary directory of the running suite, and the compiled program in it. */
export interface CProgram {
  readonly directory: string
  readonly path: string
}

/** Compiles test/lab/programs/`name`.c for the suite that calls this. */
export function useCProgram(name: string): () => CProgram {
  let program: CProgram | undefined
  beforeAll(() => {
    const directory = mkdtempSync(path.join(tmpdir(), 'socket-tuner-'))
    program = { directory, path: path.join(directory, name) }
    const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror']
    const source = path.join(PROGRAMS, `${name}.c`)
    execFileSync('cc', [...flags, '-o', program.path, source], { stdio: 'inherit' })
  })
  afterAll(() => {
    if (program !== undefined) rmSync(program.directory, { recursive: true })
  })
  return () => {
    if (program === undefined) throw new Error(`${name} exists only while tests run`)
    return program
  }
}
