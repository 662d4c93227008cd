/** Test programs in C, and in C++ for the parts of the addon that do not need Node-API. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const root = join(__dirname, '..', '..')
const parts = [
  'netlink',
  'group_table',
  'sock_diag_dump',
  'sock_diag_destroy',
  'ended_sockets',
].map((name) => join(root, 'native', 'kernel', `${name}.cc`))
const warnings = ['-Wall', '-Wextra', '-Wpedantic', '-Werror']

/** Builds a program for the suite that calls this. @param source its path in test/ */
export function useNativeProgram(source: string): () => string {
  let folder: string | undefined
  const program = (): string => join(folder ?? '', 'program')
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'socket-tuner-'))
    const file = join(root, 'test', source)
    const line = source.endsWith('.c')
      ? (['cc', ['-O2', ...warnings, file]] as const)
      : (['c++', ['-std=c++17', ...warnings, '-pthread', file, ...parts]] as const)
    const [compiler, options] = line
    await promisify(execFile)(compiler, [...options, '-o', program()])
  }, 120_000)
  afterAll(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true })
  })
  return program
}
