/* privileges.c - see privileges.h. */
#include "controlplane/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

bool privileges_find(const char *user, struct privileges *out)
{
	char *end;
	const unsigned long number = strtoul(user, &end, 10);

	*out = (struct privileges){(uid_t)-1, (gid_t)-1};
	if (geteuid() != 0)
		return true;
	if (*user >= '0' && *user <= '9' && *end == '\0' && number < (uid_t)-1) {
		*out = (struct privileges){(uid_t)number, (gid_t)number};
	} else {
		errno = 0;
		const struct passwd *who = getpwnam(user);
		if (who == NULL) {
			errno = errno != 0 ? errno : ENOENT;
			return false;
		}
		*out = (struct privileges){who->pw_uid, who->pw_gid};
	}
	if (out->uid == 0 || out->gid == 0) {
		errno = EINVAL;
		return false;
	}
	return true;
}

bool privileges_data(const char *path, const struct privileges *p)
{
	if (mkdir(path, 0750) != 0 && errno != EEXIST)
		return false;
	return p->uid == (uid_t)-1 || chown(path, p->uid, p->gid) == 0;
}

static bool become(const struct privileges *p)
{
	if (p->uid == (uid_t)-1)
		return true;
	if (setgroups(0, NULL) != 0 || setresgid(p->gid, p->gid, p->gid) != 0 ||
		setresuid(p->uid, p->uid, p->uid) != 0)
		return false;
	/* There must be no way back. */
	if (setuid(0) == 0 || seteuid(0) == 0) {
		errno = EPERM;
		return false;
	}
	return true;
}

bool privileges_drop(const struct privileges *p, pid_t parent)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return false;
	if (!become(p) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return false;
	/* A change of user forgets this, so it is asked for again. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return false;
	if (getppid() != parent) {
		errno = ESRCH; /* it died meanwhile */
		return false;
	}
	return true;
}
