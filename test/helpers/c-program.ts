/** Programs of the lab that Node could not be: compiled at first use, into a directory that is removed. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'

const PROGRAMS = path.join(__dirname, '..', 'lab', 'programs')

/** The directory of the running suite, and the paths of what is compiled in it. */
export interface CProgram {
  readonly directory: string
  readonly path: string
}

/** test/lab/programs/`name`.c, compiled for the tests of the suite that this is called in. */
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
    if (program === undefined) throw new Error(`${name} is there only while tests run`)
    return program
  }
}
