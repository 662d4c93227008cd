import { execFileSync } from 'node:child_process'
import { constants } from 'node:os'
import { useNativeProgram } from '../helpers/native-program'

const { EBADMSG, EMSGSIZE, ENOMEM, EOVERFLOW, EPERM, EPIPE, ETIMEDOUT } = constants.errno
const MAX_GROUPS = 1000

/** [name, result, sockets, interrupted] */
type Line = [string, number, number, boolean]

describe('an answer to a request of inet_diag', () => {
  const program = useNativeProgram('native/answers.cc')
  let outcomes: Map<string, Line>

  beforeAll(() => {
    const text = execFileSync(program(), { encoding: 'utf8', timeout: 20_000 })
    const lines = text.trimEnd().split('\n')
    outcomes = new Map(lines.map((line) => JSON.parse(line) as Line).map((line) => [line[0], line]))
  })

  it.each<Line>([
    ['a socket and the end', 0, 1, false],
    ['many datagrams', 0, 3, false],
    ['a message for another request', 0, 0, false],
    ['an unknown kind of message', 0, 1, false],
    ['the mark that the table changed', 0, 1, true],
    ['half a header after the last message', 0, 1, false],
  ])('is complete with %s', (...expected) => {
    expect(outcomes.get(expected[0])).toEqual(expected)
  })

  it.each<[string, number, number]>([
    ['a dump that failed in the middle', ENOMEM, 1],
    ['a refusal', EPERM, 0],
    ['an acknowledgement', EBADMSG, 0],
    ['a positive errno', EBADMSG, 0],
    ['an end without a code', EBADMSG, 0],
    ['an error without a code', EBADMSG, 0],
    ['half a socket', EBADMSG, 0],
    ['a message of length 0', EBADMSG, 0],
    ['a message shorter than its header', EBADMSG, 0],
    ['a message longer than the datagram', EBADMSG, 0],
    ['a message of 4 GiB', EBADMSG, 0],
    ['a datagram that does not fit', EMSGSIZE, 0],
    ['the end of the connection', EPIPE, 0],
    ['silence', ETIMEDOUT, 0],
    ['answers of other senders', ETIMEDOUT, 0],
    ['other messages without end', ETIMEDOUT, 0],
    ['groups without end', EOVERFLOW, MAX_GROUPS],
  ])('fails with %s', (name, errno, sockets) => {
    expect(outcomes.get(name)).toEqual([name, -errno, sockets, false])
  })

  it('ends with ETIMEDOUT if sockets arrive without end', () => {
    expect(outcomes.get('sockets without end')?.[1]).toBe(-ETIMEDOUT)
  })

  it.each([
    ['the kernel', 1],
    ['a process', 0],
    ['another family', 0],
    ['no address', 0],
    ['half an address', 0],
  ])('is accepted or not, depending on the sender: %s, %i', (name, expected) => {
    expect(outcomes.get(name)?.[1]).toBe(expected)
  })
})
