/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMWATCH_H
#define MEMWATCH_H
/*
 * The wire contract between the BPF programs and user space: keys, values, limits, events, losses.
 * Fixed-width types only, every size asserted; both sides include this file and nothing else of
 * each other.
 */
#include <linux/types.h>

#define MEMWATCH_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)

static inline __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL; /* 2^64 / the golden ratio */
	return hash ^ hash >> 29;
}

/* What arrives at an allocator's entry point, and in which argument (counted from 0). */
enum entry_kind {
	ENTRY_NONE,
	ENTRY_MALLOC,         /* size 0: malloc, valloc, pvalloc, operator new in all its forms */
	ENTRY_CALLOC,         /* number 0, size 1 */
	ENTRY_REALLOC,        /* block 0, size 1 */
	ENTRY_REALLOCARRAY,   /* block 0, number 1, size 2 */
	ENTRY_ALIGNED,        /* size 1: memalign, aligned_alloc */
	ENTRY_POSIX_MEMALIGN, /* where to put the address 0, size 2; returns 0 or an error */
	ENTRY_FREE,           /* block 0: free, cfree, operator delete in all its forms */
	ENTRY_MMAP,           /* address 0, length 1, protection 2, flags 3 */
	ENTRY_MUNMAP,         /* address 0, length 1 */
	ENTRY_MREMAP,         /* address 0, length 1, new length 2, flags 3 */
	ENTRY_KINDS,
};

/*
 * The attach cookie of a probe: what arrives there and where the arguments then are.
 *   bits  0-7   enum entry_kind
 *   bits  8-31  six arguments, four bits each: the register in the x86 encoding's order, 15 = lost
 *   bits 32-51  stack: bytes from the stack pointer up to the return address's slot, divided by 8
 *   bit  62     no return probe on this entry: its exits carry probes of their own
 *   bit  63     this is such an exit: the instruction is a `ret`, the stack pointer is at the slot
 */
#define COOKIE_KIND(cookie) ((cookie) & 0xff)
#define COOKIE_ARGUMENT(cookie, n) ((cookie) >> (8 + 4 * (n)) & 0xf)
#define COOKIE_STACK(cookie) (((cookie) >> 32 & 0xfffff) * 8)
#define COOKIE_STACK_SHIFT 32
#define COOKIE_NO_RETURN (1ULL << 62)
#define COOKIE_EXIT (1ULL << 63)

/*
 * A row of an unwinding table: how to get from a frame to its caller's, from position `low` (the
 * low 16 bits of a file offset) up to the next row's. Offsets are in units of 8 bytes.
 */
enum unwind_cfa {
	UNWIND_NONE,        /* no table here: try frame pointers */
	UNWIND_UNSUPPORTED, /* no row can hold the rule, or nobody knows it: the walk is broken */
	UNWIND_END,         /* the return address is undefined: the thread's first frame */
	UNWIND_RSP,         /* CFA = rsp + 8 * cfa */
	UNWIND_RBP,         /* CFA = rbp + 8 * cfa */
	UNWIND_DEREF_RSP,   /* CFA = *(rsp + 8 * cfa) + 8 * (rbp_rule >> 4) */
	UNWIND_DEREF_RBP,   /* CFA = *(rbp + 8 * cfa) + 8 * (rbp_rule >> 4) */
	/*
	 * CFA = rsp + 8 + 8 * ((rip & 15) >= cfa), the lazy PLT's expression (cfa: 11, or 10 for
	 * CET/x32 forms)
	 */
	UNWIND_PLT,
	UNWIND_SIGNAL,      /* a signal frame: registers are in the ucontext at rsp */
	/* CFA = rsp + 8 * ((rbp_rule >> 4) << 16 | (__u16)cfa): frames of 256 KiB to 8 MiB */
	UNWIND_RSP_FAR,
};

enum unwind_rbp { /* low four bits of rbp_rule */
		  UNWIND_RBP_SAME, /* the caller's rbp is still in rbp */
		  UNWIND_RBP_CFA,  /* it is at CFA + 8 * rbp */
		  UNWIND_RBP_RBP,  /* it is at rbp + 8 * rbp: functions that re-align the stack */
		  UNWIND_RBP_LOST, /* undefined */
};

struct unwind_row {
	__u16 low;
	__u8 cfa_rule;
	__u8 rbp_rule;
	__s16 cfa;
	__s16 rbp;
};
MEMWATCH_ASSERT_SIZE(struct unwind_row, 8);

/* Frames as the kernel captures them: a kind in the top four bits. */
enum frame_tag {
	FRAME_TAG_NONE,
	FRAME_TAG_RETURN,  /* object in bits 40-59, file offset of a return address in bits 0-39 */
	FRAME_TAG_EXACT,   /* the same, of an instruction that was interrupted (signal frames) */
	FRAME_TAG_ADDRESS, /* a return address in bits 0-47: code without a file, of one process */
	/*
	 * a CPython code object's address in bits 0-47, in bits 48-59 the low bits of its
	 * python_identity
	 */
	FRAME_TAG_CODE,
	/* follows the code: byte offset of its instruction in bits 0-39, above the other bits */
	FRAME_TAG_INSTRUCTION,
};
#define FRAME_TAG(frame) ((frame) >> 60)
#define FRAME_OBJECT(frame) ((frame) >> 40 & 0xfffff)
#define FRAME_OFFSET(frame) ((frame) & 0xffffffffffULL)
#define FRAME_ADDRESS(frame) ((frame) & 0xffffffffffffULL)
#define FRAME_IDENTITY(code, instruction) \
	((__u32)((code) >> 48 & 0xfff) | (__u32)((instruction) >> 40 & 0xfffff) << 12)
#define MEMWATCH_MAX_OBJECTS 0x100000

/*
 * Frames of a stack, when the user does not say how many: the kernel's own PERF_MAX_STACK_DEPTH,
 * and bcc's. The most words of one, of which a frame of CPython has two: a thread's storage holds
 * one such stack, and kernels that allocate it by kmalloc_nolock give no more than 8 KiB (two
 * pages) for it.
 */
#define MEMWATCH_DEFAULT_FRAMES 127
#define MEMWATCH_MAX_WORDS 512

/*
 * An element of a kernel table takes what kmalloc rounds it up to: 512 bytes with so many words
 * (struct htab_elem 48, key 8, head 16, struct llist_node 8), 2048 with so many. Most stacks are
 * short. Deep ones have a table of their own, and this bit in their id.
 */
#define MEMWATCH_SHORT_WORDS 54
#define MEMWATCH_DEEP_WORDS 246
#define STACK_ID_DEEP 4ULL

/* How a stack ended. */
enum stack_state {
	STACK_STATE_COMPLETE,  /* at the thread's first frame */
	STACK_STATE_TRUNCATED, /* at as many frames as were asked for, or there is room for */
	STACK_STATE_BROKEN,    /* where nothing said how to go on */
};

struct stack_record { /* the kernel's tables have no more words than they need */
	__u32 count;    /* of words */
	__u32 state;    /* enum stack_state */
	__u32 book;     /* when it holds addresses of one process; else 0 */
	__u32 pointers; /* frames that were found by frame pointers */
	__u64 frames[MEMWATCH_MAX_WORDS]; /* leaf first */
};
MEMWATCH_ASSERT_SIZE(struct stack_record, 16 + 8 * MEMWATCH_MAX_WORDS);

/*
 * A book holds the accounts of one process from its start, or its exec, to its end. Book ids are
 * indices, handed out through a queue and given back by user space when nothing refers to them.
 * Id 0 is never used.
 */
enum book_state { BOOK_FREE, BOOK_OPEN, BOOK_IGNORED, BOOK_REPLACED /* by exec */, BOOK_EXITED };

struct account {
	__u64 live_bytes, live_count, freed_bytes, freed_count, peak_bytes;
};

struct book {
	struct account heap;    /* of the whole process, whatever the filters say */
	struct account unknown; /* the part of it whose stack or site was lost */
	__u64 failed_count;
	__u64 unmatched_frees;
	/* the most heap.live_bytes since the last event of the mmap family */
	__u64 mmap_peak;
	__u32 tgid;
	__u32 state;           /* enum book_state */
	/* of the mappings: first | count << 32, one word so that no reader sees half */
	__u64 slice;
	/* of the slice; a memo of another one is void, so it never goes back */
	__u32 generation;
	/* times that code changed its place; written by the kernel, before it marks in the slice
	 * where that was */
	__u32 changes;
	/* what `changes` was then, when nobody said where (the loader); written by the kernel */
	__u32 changed_anywhere;
	/* what `changes` was before the slice was read; less than changed_anywhere for as long as
	 * the slice may lack a mark; written by user space */
	__u32 changes_seen;
	__u32 asked;           /* an EVENT_MAPPINGS is under way; reset by user space */
	__u32 mapped;          /* the program has made mappings of its own */
	__u32 python;          /* there is a python_record */
	__u64 truncated_stacks, broken_stacks; /* allocations with such a stack */
	__u64 inflight; /* calls whose return was never seen, and blocks whose free was not */
	char comm[16];         /* when the book was opened; "" by user space. TASK_COMM_LEN */
};
MEMWATCH_ASSERT_SIZE(struct book, 192);

struct mapping_record { /* executable mappings of a process, ascending */
	__u64 start, end;
	__u64 offset;  /* in the file, of start */
	__u32 object;  /* 0: no file */
	__u16 python;  /* file_record's; 0 in a slice: there the book knows */
	__u16 stale;   /* the program has changed what is here; written by the kernel */
};
MEMWATCH_ASSERT_SIZE(struct mapping_record, 32);

/*
 * Files whose rows are there, by what the kernel itself calls them: on overlayfs and btrfs that is
 * not what stat() says.
 */
struct file_key {
	__u64 inode;
	__u32 device; /* the kernel's dev_t, not stat()'s: major << 20 | minor */
	__u32 zero;
};
MEMWATCH_ASSERT_SIZE(struct file_key, 16);
struct file_record {
	__u32 object; /* 0: nobody knows yet, and an EVENT_FILE is under way */
	__u32 python; /* CPython's evaluator is in it */
};

struct page_key { /* 64 KiB of an object's file */
	__u32 object;
	__u32 page;
};
struct page_rows { /* their rows */
	__u32 first, count;
};

struct block_key {
	__u64 address;
	__u32 book;
	__u32 zero;
};

/*
 * An element of the table may be idle: its block was freed, and it waits for the next one at this
 * address.
 */
struct block {
	__u64 size;   /* bytes requested */
	__u64 birth;  /* ns, CLOCK_MONOTONIC; 0: idle */
	__u32 site;   /* index; 0: the book's `unknown` */
	__u32 weight; /* blocks that it stands for; 0: not counted in a site (filtered) */
};
MEMWATCH_ASSERT_SIZE(struct block, 24);

struct site_key {
	__u64 stack;
	__u32 book;
	__u32 zero;
};
MEMWATCH_ASSERT_SIZE(struct site_key, 16);

struct site_record { /* an element of `sites`; `site_ids` finds it by its key */
	__u64 stack;
	__u32 book; /* 0: free */
	__u32 zero;
	struct account account;
};
MEMWATCH_ASSERT_SIZE(struct site_record, 56);

/*
 * How the frames of a process's CPython interpreter are found; per book. Offsets are in bytes.
 * Sources: FACTS.md "CPython"; CPython's Include/internal/pycore_frame.h, Include/cpython/code.h.
 */
enum python_layout {
	PYTHON_FRAME_OBJECTS, /* to 3.10: PyFrameObject; one frame for one call of the evaluator */
	/* 3.11: the frame with is_entry set is the last of its evaluator call */
	PYTHON_ENTRY_FLAG,
	PYTHON_SHIM,          /* 3.12+: a shim frame, owned by the C stack, follows the last one */
};

/*
 * What tells in which call of the evaluator a thread state runs: something of it lies in that
 * call's frame of the C stack, from its stack pointer to its CFA.
 */
enum python_anchor {
	PYTHON_ANCHOR_NONE,   /* to 3.9: nothing does */
	PYTHON_ANCHOR_CFRAME, /* 3.10 to 3.12: its CFrame (_PyCFrame), which the evaluator makes */
	PYTHON_ANCHOR_SHIM,   /* 3.13+: the shim frame */
};

struct python_record {
	__u64 tss_key;       /* address of the int that is the thread state's pthread key */
	__u64 interpreters;  /* address of _PyRuntime.interpreters.head; 0: not known */
	/* address of _PyRuntime.gilstate.tstate_current, the state that holds the GIL; used without
	 * an anchor only */
	__u64 holder;
	/* _PyEval_EvalFrameDefault and its .cold part: [start, end); 0, 0: none */
	__u64 evaluator[2][2];
	__u16 layout;        /* enum python_layout */
	/* from the thread's fsbase to the first pthread key's data pointer: 0x310 + 8 (glibc) */
	__u16 tss_data;
	__u16 frame_size;    /* bytes of a frame that hold all that is read of it */
	__u16 code_parts; /* python_marks */
	/* PyThreadState -> frame; or -> cframe when cframe_frame is not 0xffff */
	__u16 tstate_frame;
	__u16 cframe_frame;  /* _PyCFrame -> current_frame; 0xffff: there is no cframe */
	__u16 frame_back, frame_code, frame_instruction; /* previous, code, lasti or prev_instr */
	__u16 frame_marker;  /* is_entry or owner, a byte; unused with PYTHON_FRAME_OBJECTS */
	__u16 marker_value;  /* is_entry: 1; owner: at least this much is a shim */
	__u16 code_pointer_mask; /* low bits to clear from frame_code (3.14: tagged); else 0 */
	__u16 code_first_line;
	/* co_code_adaptive, where prev_instr points into; 0: instruction is a lasti */
	__u16 code_bytecode;
	__u16 instruction_scale; /* bytes a unit of lasti: 1 to 3.9, 2 in 3.10 */
	__u16 anchor;            /* enum python_anchor */
	__u16 tstate_cframe, cframe_previous; /* PYTHON_ANCHOR_CFRAME */
	__u16 interpreter_next,
		interpreter_threads; /* PyInterpreterState -> next, first thread's */
	__u16 code_file;
	__u16 code_contents; /* python_marks */
	__u16 code_version; /* 0: it has none */
	__u16 code_bytes;   /* to 3.10, the bytes object with its instructions; else 0 */
};
MEMWATCH_ASSERT_SIZE(struct python_record, 104);

/* What tells a code object from a later one at its address. */
struct python_marks {
	__u64 parts[4];    /* where its name [2], its table of lines [3] and its file's name are */
	/* where its instructions (from 3.11 on: how many there are), constants and names are */
	__u64 contents[3];
	__u32 first_line;
	__u32 version;     /* co_version, of which no two have the same; to 3.11: 0 */
	/*
	 * To 3.11: an exec's file name goes with its code, and the next one comes to the same
	 * place, as do the functions of both. 0 where it cannot be read.
	 */
	__u64 file_length; /* bytes */
	__u64 file_end[8]; /* the last 64 bytes of it */
};

static inline __u32 python_identity(const struct python_marks *marks)
{
	__u64 hash = mix(marks->first_line | (__u64)marks->version << 32, marks->file_length);

	for (int i = 0; i < 4; i++)
		hash = mix(hash, marks->parts[i]);
	for (int i = 0; i < 3; i++)
		hash = mix(hash, marks->contents[i]);
	for (int i = 0; marks->file_length && i < 8; i++)
		hash = mix(hash, marks->file_end[i]);
	return hash >> 32;
}

enum event_type {
	EVENT_BOOK,     /* a book was opened for tgid */
	EVENT_EXEC,     /* `book` replaces `other` */
	EVENT_EXIT,     /* of the process of `book` */
	/*
	 * The thread that led the process of `book` is gone: it ended and the others go on (`other`
	 * 1), or another one called exec and leads it from now on (0). Links hold on to the leader.
	 */
	EVENT_LEADER,
	/* `book` ran into code that its slice does not show, or has changed what it shows */
	EVENT_MAPPINGS,
	/*
	 * [address, address + length) is mapped from a file that the kernel calls `other` (device),
	 * `other_address` (inode), of `other_length` bytes, from `stack` on. `flags` is
	 * book.changes.
	 */
	EVENT_FILE,
	EVENT_MAP,      /* [address, address + length) was mapped by the program */
	EVENT_UNMAP,    /* the program is about to unmap it */
	EVENT_REMAP,    /* [other_address, + other_length) became [address, + length) */
};

struct event {
	__u32 type;
	__u32 book;
	__u32 tgid;
	__u32 other;
	__u64 time;  /* ns, CLOCK_MONOTONIC */
	__u64 stack;
	__u64 address, length;
	__u64 other_address, other_length;
	__u64 heap_peak; /* the most heap.live_bytes since the event of the mmap family before */
	__u32 protection, flags; /* as given to mmap or mremap */
};
MEMWATCH_ASSERT_SIZE(struct event, 80);

struct python_key { /* one code object */
	__u64 code;     /* its address */
	__u32 identity; /* python_identity */
	__u32 book;
};

/*
 * A code object when it was first met, as it lay in the process's memory: it may be gone before
 * anybody can look. Objects longer than their room are cut.
 */
struct python_copy {
	struct python_key key;
	/* bytes that are there of these; 0: it could not be read */
	__u32 head_size, name_size, file_size, lines_size;
	__u8 bytes[144];  /* of the code object itself, up to the end of its python_marks.parts */
	__u8 head[32];    /* to 3.10: of its instructions, a bytes object */
	__u8 name[320], file[528]; /* str */
	__u8 lines[4096]; /* bytes */
};
MEMWATCH_ASSERT_SIZE(struct python_copy, 16 + 16 + 144 + 32 + 320 + 528 + 4096);

/* What could not be recorded; each is one more than the number that was. */
struct loss_record {
	__u64 blocks;   /* allocations: the table of blocks was full */
	__u64 sites;    /* allocations charged to no site: the table of sites was full */
	__u64 stacks;   /* allocations without a stack: the table of stacks was full */
	__u64 inflight; /* calls that could not be remembered */
	__u64 events;   /* the ring buffer was full */
	__u64 books;    /* processes not observed: no free book */
	__u64 interned; /* no loss: stacks that came into the table */
	__u64 walks; /* no loss: stacks that no memo could vouch for */
};
MEMWATCH_ASSERT_SIZE(struct loss_record, 64);

#endif
