// Reads files that attack their reader, in a process that may write to one folder only and may start no other process.
//   hostile.js <group> <folder>
// Prints what it found as a line of JSON.
import type { GroupName } from '../src/hostile/group.js';
import { attackGroup } from '../src/hostile/groups.js';

const [group, folder] = process.argv.slice(2) as [GroupName, string];
console.log(JSON.stringify(await attackGroup(group, folder)));
