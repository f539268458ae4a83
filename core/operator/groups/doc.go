// Package groups puts the rows that keyed state keeps of some groups in order: what
// operators that tell how ranks and window functions change do for the groups that a
// batch touches.
//
//	slots of groups --chains--> rows of their lists --columns of the order--> sorted
//
// Rows come by group, then in the order asked for, then in that of their list, which is
// the order in which they came.
//
// A Finder gives the rows of a batch the slots of their groups; Waiting are the groups
// whose time has not come; Ages tell which ones nothing has come for since a while.
package groups
