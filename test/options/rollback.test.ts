import { isDeepStrictEqual } from 'node:util'
import { configure, setOption, tune, type Settings } from '../../lib'
import { failureOf, tcpSocket } from '../sockets'
import { anotherValue, familyOf, isPresent, read, reasonToSkip, rows, type Row } from './rows'

configure({ hazards: 'ignore' })

/** Reads every option of the socket, except those that change by themselves. */
function everythingOf(fd: number): Record<string, unknown> {
  const entries = rows
    .filter((row) => isPresent(row) && (row.access === 'r' || row.access === 'rw'))
    .filter(({ name }) => name !== 'TCP_TIMESTAMP' && name !== 'SO_ERROR')
    .map(({ name }): [string, unknown] => [name, valueOrCode(fd, name)])
  return Object.fromEntries(entries)
}

function valueOrCode(fd: number, name: string): unknown {
  try {
    return read(fd, name)
  } catch (error) {
    return (error as { code: string }).code
  }
}

/** Returns a valid setting that the kernel refuses. */
function refused({ name }: Row): Settings {
  return name === 'TCP_CONGESTION'
    ? { TCP_FASTOPEN_KEY: new Uint8Array(17) }
    : { TCP_CONGESTION: 'no_such_algo' }
}

describe('tune() that fails at a later setting', () => {
  for (const row of rows.filter(({ access }) => access === 'rw')) {
    const { name } = row
    const reason = reasonToSkip(row, tcpSocket(familyOf(row)))
    const title = `restores every option that changed with ${name}`
    if (reason !== undefined) {
      it.skip(`${title} (${reason})`, () => undefined)
      continue
    }
    it(title, () => {
      configure({ hazards: 'ignore' })
      const fd = tcpSocket(6)
      const before = everythingOf(fd)
      const value = anotherValue(row, before[name])
      const error = failureOf(() => tune(fd, { [name]: value, ...refused(row) }))
      expect(error).toMatchObject({ syscall: 'setsockopt', option: Object.keys(refused(row))[0] })
      const after = everythingOf(fd)
      const changed = Object.keys(before).filter(
        (each) => !isDeepStrictEqual(before[each], after[each]),
      )
      expect(changed).toEqual(error.notRestored ?? [])
    })

    it(`restores a previous value of ${name}`, () => {
      configure({ hazards: 'ignore' })
      const fd = tcpSocket(6)
      const initial = read(fd, name)
      setOption(fd, name as 'TCP_MAXSEG', anotherValue(row, initial) as number)
      const before = everythingOf(fd)
      const value = row.kind === 'bool' ? initial : (row.also?.[0] ?? row.range?.[0] ?? initial)
      failureOf(() => tune(fd, { [name]: value, ...refused(row) }))
      expect(everythingOf(fd)).toEqual(before)
    })
  }
})
