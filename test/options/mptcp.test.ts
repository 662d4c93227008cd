import { configure, setOption, tune, type WritableOption } from '../../lib'
import { native } from '../../lib/kernel/binding'
import { failureOf, succeed, tcpSocket } from '../sockets'
import { anotherValue, read, reasonToSkip, rows } from './rows'

configure({ hazards: 'ignore' })

const { AF_INET6 = 0, SOCK_STREAM = 0, IPPROTO_MPTCP = 0 } = native.constants
const probe = native.openSocket(AF_INET6, SOCK_STREAM, IPPROTO_MPTCP)
if (probe >= 0) native.closeFd(probe)
// Kernels may be built without MPTCP, or have it switched off.
const whereThereIs = probe >= 0 ? describe : describe.skip

whereThereIs('an MPTCP socket', () => {
  let fd = -1
  beforeEach(() => {
    configure({ hazards: 'ignore' })
    fd = succeed(native.openSocket(AF_INET6, SOCK_STREAM, IPPROTO_MPTCP))
  })
  afterEach(() => {
    native.closeFd(fd)
  })

  for (const row of rows.filter(({ access }) => access === 'rw')) {
    const { name, notOnMptcp } = row
    const title = notOnMptcp === true ? `does not accept ${name}` : `accepts ${name}`
    const reason = reasonToSkip(row, tcpSocket(6))
    if (reason !== undefined) {
      it.skip(`${title} (${reason})`, () => undefined)
      continue
    }
    it(title, () => {
      const value = anotherValue(row, read(tcpSocket(6), name))
      const set = (): void => {
        setOption(fd, name as WritableOption, value as never)
      }
      if (notOnMptcp !== true) {
        set()
      } else if (isAccepted(set)) {
        // The kernel ignores it.
        expect(read(fd, name)).not.toEqual(value)
      } else {
        expect(failureOf(set).code).toBe('ERR_SOCKET_TUNER_WRONG_SOCKET')
      }
    })
  }

  it('is named in the error of a TCP option', () => {
    const error = failureOf(() => {
      setOption(fd, 'TCP_LINGER2', 10)
    })
    expect(error.code).toBe('ERR_SOCKET_TUNER_WRONG_SOCKET')
    expect(error.message).toBe(
      `TCP_LINGER2 is an option of IPPROTO_TCP; fd ${String(fd)} is an IPv6 MPTCP socket`,
    )
  })

  // The kernel's error claims that it lacks the option, which it has for TCP.
  it.each([
    ['SO_BUF_LOCK', 1],
    ['IPV6_UNICAST_HOPS', 33],
  ] as const)('is named in the error of %s', (name, value) => {
    const error = failureOf(() => {
      setOption(fd, name, value)
    })
    expect(error.message).toContain('an IPv6 MPTCP socket')
  })

  it('is tuned with the options that it supports', () => {
    expect(tune(fd, { TCP_NODELAY: true, TCP_QUICKACK: true, TCP_KEEPIDLE: 33 })).toMatchObject({
      TCP_NODELAY: { status: 'applied', value: true },
      TCP_QUICKACK: { status: 'unsupported', requested: true },
      TCP_KEEPIDLE: { status: 'applied', value: 33 },
    })
  })
})

function isAccepted(set: () => void): boolean {
  try {
    set()
    return true
  } catch {
    return false
  }
}
